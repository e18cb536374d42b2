// expect: completed "9"
010 + "\07".length
