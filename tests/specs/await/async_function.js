// expect: completed "done"
(async () => "done")()
