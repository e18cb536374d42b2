// expect: completed "1,2,3"
let o: any = {}; (o as any).x = 1; (o!).y = 2; [(o.z as number)] = [3]; Object.values(o).join()
