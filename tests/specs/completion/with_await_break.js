// expect: completed "b"
await 0; while (true) { "b"; break }
