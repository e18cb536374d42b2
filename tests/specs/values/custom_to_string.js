// expect: completed "mine"
({ toString() { return "mine" } })
