import { expectSame } from './compare.ts';

if (process.env.SCOW_VM === 'plain') {
  test('containerd', () => expectSame({ script: 'test/vm/engines/containerd.sh' }));
  test('containerd for Kubernetes', () => expectSame({ script: 'test/vm/engines/cri.sh' }));
}
