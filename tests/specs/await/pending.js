// expect: failed nothing_left_to_wait_for
await new Promise(() => {})
