// expect: failed nothing_left_to_wait_for
new Promise(() => {})
