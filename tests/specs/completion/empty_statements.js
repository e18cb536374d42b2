// expect: completed "1"
;;1;;
