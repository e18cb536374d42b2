// expect: completed "say \"hi\""
// preview: "'say \"hi\"'"
'say "hi"'
