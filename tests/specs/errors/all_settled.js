// expect: completed "rejected,fulfilled"
(await Promise.allSettled([Promise.reject(1), 2])).map(r => r.status).join()
