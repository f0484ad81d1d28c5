def main(v): raise SystemExit
