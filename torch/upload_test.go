package torch_test

import (
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// A batch that is uploaded while the device computes arrives as it was, though the memory of the batch before it
// is used again at once.
func TestManyUploads(t *testing.T) {
	const uploads, elements, side = 1000, 3 << 10, 256
	d := torchtest.Device()
	do(t, func(*torch.Scope) {
		busy := torch.Full(torch.Options{Device: d}, 1./side, side, side)
		sums := torch.Zeros(torch.Options{DType: torch.Float64, Device: d}, uploads)
		data := make([]float32, elements)
		for i := range int64(uploads) {
			torch.Within(func(*torch.Scope) {
				for j := range data {
					data[j] = float32((i*7 + int64(j)*13) % 1001)
				}
				busy.Copy_(torch.Linear(busy, busy, torch.Tensor{})) // stays what it is
				x := d.FromFloat32(data, elements)
				clear(data)
				sums.Select(0, i).Copy_(x.To(torch.Float64).Sum())
			})
		}
		for i, got := range sums.Float64s() {
			want := 0.0
			for j := range elements {
				want += float64((i*7 + j*13) % 1001)
			}
			if got != want {
				t.Fatalf("upload %d has the sum %v, not %v, on %v", i, got, want, d)
			}
		}
	})
}

// On every device, the peak is the memory of the tensors that exist at the same time.
func TestPeakMemoryOfTheDevice(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		do(t, func(*torch.Scope) {
			const bytes = 64 << 20
			o := torch.Options{Device: d}
			peak := func(tensors int) int64 {
				return torch.PeakMemory(d, func() {
					torch.Within(func(*torch.Scope) {
						for range tensors {
							torch.Zeros(o, bytes/4)
						}
					})
					torch.Within(func(*torch.Scope) { torch.Zeros(o, bytes/4) })
				})
			}
			one, three := peak(1), peak(3)
			if one < bytes || three-one < 2*bytes || three-one > 2*bytes+2<<20 {
				t.Errorf("peaks of %d bytes with one tensor of %d, %d with three", one, bytes, three)
			}
		})
	})
}
