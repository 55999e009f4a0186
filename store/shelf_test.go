package store

import (
	"fmt"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// A shelf is a map from (slot, register), whatever lies hot or cold; in
// particular when a whole hot bucket of many pages moves at once, on which
// bbolt's Cursor.Last never ends.
func TestShelfIsAMap(t *testing.T) {
	s := fastStore(t)
	rapid.Check(t, func(t *rapid.T) {
		type at struct {
			slot int32
			reg  uint32
		}
		model := map[at]string{}
		tx, err := s.db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		slot := int32(rapid.IntRange(-3, 3).Draw(t, "first slot"))
		for n := range rapid.IntRange(1, 30).Draw(t, "steps") {
			f := dayShelf(tx)
			slot += int32(rapid.IntRange(-1, 2).Draw(t, "on"))
			if err := f.roll(slot); err != nil {
				t.Fatal(err)
			}
			for reg := range uint32(rapid.IntRange(1, 12).Draw(t, "registers")) {
				v := fmt.Sprintf("%0*d", rapid.IntRange(1, 3000).Draw(t, "size"), n)
				if err := f.put(slot, reg+1, []byte(v)); err != nil {
					t.Fatal(err)
				}
				model[at{slot, reg + 1}] = v
			}
			if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
				if err := f.delete(slot, 1); err != nil {
					t.Fatal(err)
				}
				delete(model, at{slot, 1})
			}
		}
		f := dayShelf(tx)
		for k, v := range model {
			if string(f.get(k.slot, k.reg)) != v {
				t.Fatalf("%v is lost", k)
			}
		}
		found := 0
		for reg := range uint32(13) {
			for from := int32(minSlot); ; from++ {
				slot, v, ok := f.next(reg, from, maxSlot)
				if !ok {
					break
				}
				if model[at{slot, reg}] != string(v) {
					t.Fatalf("%d/%d is not in the model", slot, reg)
				}
				from = slot
				found++
			}
		}
		if keys := f.before(maxSlot); found != len(model) || len(keys) != len(model) {
			t.Fatalf("%d by register, %d in all, want %d", found, len(keys), len(model))
		}
	})
}

func TestEmptiedHotBucketOfManyPages(t *testing.T) {
	s := fastStore(t)
	must(t, s.update("test", func(tx *bolt.Tx) error {
		for day := range int32(3) {
			f := dayShelf(tx)
			if err := f.roll(day); err != nil {
				return err
			}
			for reg := range uint32(50) {
				if err := f.put(day, reg, make([]byte, 1000)); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	must(t, s.update("test", func(tx *bolt.Tx) error {
		f := dayShelf(tx)
		if err := f.roll(10); err != nil {
			return err
		}
		return f.put(10, 1, []byte("x"))
	}))
}
