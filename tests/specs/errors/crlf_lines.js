let a = 1
nowhere