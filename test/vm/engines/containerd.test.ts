import { expectSame, scenario } from './compare.ts';

test('containerd', () => expectSame(scenario('containerd.sh')));
test('containerd for Kubernetes', () => expectSame(scenario('cri.sh')));
