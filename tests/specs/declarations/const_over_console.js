// expect: completed "3"
const URL = 1, console = 2; URL + console
