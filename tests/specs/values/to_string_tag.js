// expect: completed "[object Tagged]"
({ [Symbol.toStringTag]: "Tagged" })
