import { expectSame } from './compare.ts';

test('containerd', () => expectSame({ script: 'test/vm/engines/containerd.sh' }));
test('containerd for Kubernetes', () => expectSame({ script: 'test/vm/engines/cri.sh' }));
