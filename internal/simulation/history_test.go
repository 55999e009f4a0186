package simulation

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
)

// Two runs of one seed are one history, with other keys and on more processors,
// so that a violation comes again where it is looked for.
func TestOneSeedIsOneHistory(t *testing.T) {
	for _, seed := range []uint64{1, 2} { // with a clock that is right, and one that is not
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			var said [2]bytes.Buffer
			var got [2]Result
			for i := range got {
				func() {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(i + 1))
					synctest.Test(t, func(t *testing.T) {
						var err error
						if got[i], err = Run(Options{Seed: seed, Days: 10, Meters: 10, Sparse: true, Dir: ramDir(t), Identity: newIdentity(t), History: &said[i]}); err != nil {
							t.Error(err)
						}
					})
				}()
				if n := got[i].Ends; n[stopped]+n[killed] == got[i].Lives || got[i].Batches == 0 || got[i].Files == 0 {
					t.Errorf("too little happened: %+v", got[i])
				}
			}
			if got[0].History != got[1].History {
				t.Errorf("they are not the same: %s", firstOther(said[0].Bytes(), said[1].Bytes()))
			}
		})
	}
}

// firstOther gives where two histories part.
func firstOther(a, b []byte) string {
	as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(as), len(bs)) {
		if !bytes.Equal(as[i], bs[i]) {
			return fmt.Sprintf("line %d of %d and %d:\n%s\n%s", i+1, len(as), len(bs), as[i], bs[i])
		}
	}
	return fmt.Sprintf("%d and %d lines, and one begins like the other", len(as), len(bs))
}
