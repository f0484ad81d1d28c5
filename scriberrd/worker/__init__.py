"""The child process that transcribes: decodes, cuts into blocks, and runs an engine on them.

    __main__  the process: descriptors, commands in, replies out, heartbeat
    run       a task in progress, and whether it is to be given up
    task      one recording from its descriptor to `Finished`, `Stopped` or `Failed`
    pull      a model into the cache, apart from any task
    blocks    a stream of samples, cut at silences
    audio     a container as a stream of samples
    hub       the cache of models
    describe  errors of libraries, for people
    engines   the interface of speech recognition engines

It knows nothing of the daemon: everything it needs comes with each task.
"""
