// expect: failed nothing_left_to_wait_for
for await (const x of { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }) x;
