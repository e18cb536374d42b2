// expect: completed "yes"
if (await Promise.resolve(true)) { "yes" } else { "no" }
