// expect: completed "false"
!1
