// expect: completed "-10"
// preview: "-10n"
-10n
