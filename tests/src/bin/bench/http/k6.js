// The load of `load.rs` at a constant rate with wait_ms, by k6.

import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';

const scripts = JSON.parse(__ENV.SCRIPTS);
const requests = scripts.map(({ code }) => JSON.stringify({ code, wait_ms: 50000 }));
const params = { headers: { 'content-type': 'application/json' } };

export const options = {
  scenarios: {
    load: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: 64,
      maxVUs: 512,
    },
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)'],
};

export default function () {
  const which = exec.scenario.iterationInTest % scripts.length;
  const answer = http.post(`${__ENV.SERVER}/api/exec`, requests[which], params);
  check(answer, {
    'its result': () => answer.status === 200 && answer.json('result') === scripts[which].result,
  });
}
