// expect: timed_out
// limits: timeout_secs=1
for (;;) { try { for (;;); } catch {} finally { for (;;); } }
