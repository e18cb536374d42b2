// expect: failed exception
// error: "<anonymous>:3:2"
	nowhere
