import { allowed, refused } from './support.ts';

refused([
  [
    'a static priority of a policy that has none',
    [['/process/scheduler', { policy: 'SCHED_BATCH', priority: 1 }]],
    '/process/scheduler/priority',
    '1',
    'nothing beside SCHED_BATCH, or 0',
  ],
  [
    'a real-time policy without a priority',
    [['/process/scheduler', { policy: 'SCHED_RR' }]],
    '/process/scheduler/priority',
    'missing',
    'an integer from 1 to 99, for SCHED_RR',
  ],
  [
    'a time for a policy without deadlines',
    [['/process/scheduler', { policy: 'SCHED_OTHER', period: 5 }]],
    '/process/scheduler/period',
    '5',
    'nothing beside SCHED_OTHER: only SCHED_DEADLINE has times',
  ],
  [
    'a deadline policy without a runtime',
    [['/process/scheduler/runtime', undefined]],
    '/process/scheduler/runtime',
    'missing',
    'an integer from 1024 to 9223372036854775807 (nanoseconds)',
  ],
  [
    'a deadline before the runtime is over',
    [['/process/scheduler/deadline', 999999]],
    '/process/scheduler/deadline',
    '999999',
    'an integer from 1000000 to 9223372036854775807 (nanoseconds), no less than the time before it',
  ],
  [
    'a period that ends before its deadline',
    [['/process/scheduler/period', 1999999]],
    '/process/scheduler/period',
    '1999999',
    'an integer from 2000000 to 9223372036854775807 (nanoseconds), no less than the time before it',
  ],
  [
    'a deadline that the kernel takes for negative',
    [['/process/scheduler/deadline', 2n ** 63n]],
    '/process/scheduler/deadline',
    '9223372036854775808',
    'an integer from 1000000 to 9223372036854775807 (nanoseconds), no less than the time before it',
  ],
  [
    'a range of CPUs that goes downwards',
    [['/process/execCPUAffinity/final', '0, 7-3']],
    '/process/execCPUAffinity/final',
    '"7-3" in it',
    'numbers from 0 to 8191 and ranges of them that go upwards',
  ],
  [
    'a CPU that no machine has',
    [['/process/execCPUAffinity/initial', '0-4294967295']],
    '/process/execCPUAffinity/initial',
    '"0-4294967295" in it',
    'numbers from 0 to 8191 and ranges of them that go upwards',
  ],
]);

allowed([
  ['a deadline policy without a period', [['/process/scheduler/period', 0]]],
  ['a real-time policy', [['/process/scheduler', { policy: 'SCHED_FIFO', priority: 99 }]]],
  ['CPUs in groups', [['/process/execCPUAffinity/final', ' 0-8191:2/4 , 3']]],
  ['no CPUs', [['/process/execCPUAffinity/final', '']]],
]);
