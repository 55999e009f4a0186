package modbus

import (
	"errors"
	"testing"
)

// Frames as they come on the wire, and what becomes known of the length of
// the answer with what has come so far. Checksums are left to the packager.
func TestAnswerLength(t *testing.T) {
	const question = "01 04 0048 0002 F1DD"
	ident := "01 2B 0E 01 00 C0CC"
	for _, c := range []struct {
		name, question, got string
		want                int
		err                 error
	}{
		{"nothing yet", question, "", 0, nil},
		{"the unit", question, "01", 0, nil},
		{"another unit, seen at once", question, "02", 0, errOtherUnit},
		{"the function", question, "01 04", 0, nil},
		{"an exception", question, "01 84", 5, nil},
		{"another function", question, "01 03", 0, errOtherFunction},
		{"another function's exception", question, "01 83", 0, errOtherFunction},
		{"the length", question, "01 04 04", 9, nil},
		{"fewer registers", question, "01 04 02", 0, errOtherLength},
		{"more registers", question, "01 04 06", 0, errOtherLength},
		{"125 registers", "01 03 0000 007D 85EB", "01 03 FA", 255, nil},
		{"identification, header", ident, "01 2B 0E 01 01 00 00", 0, nil},
		{"another kind of encapsulation", ident, "01 2B 0D", 0, errOtherFunction},
		{"another code of identification", ident, "01 2B 0E 02", 0, errOtherFunction},
		{"no objects", ident, "01 2B 0E 01 01 00 00 00", 10, nil},
		{"one object, its length to come", ident, "01 2B 0E 01 01 00 00 01 00", 0, nil},
		{"one object", ident, "01 2B 0E 01 01 00 00 01 00 03", 15, nil},
		{"the second object's length to come", ident, "01 2B 0E 01 01 00 00 02 00 01 41", 0, nil},
		{"two objects", ident, "01 2B 0E 01 01 00 00 02 00 01 41 01 02", 17, nil},
		{"the longest", ident, "01 2B 0E 01 01 00 00 01 00 F4", 256, nil},
		{"longer than a frame", ident, "01 2B 0E 01 01 00 00 01 00 F5", 0, errTooMuch},
		{"refused", ident, "01 AB", 5, nil},
	} {
		got, err := answerLength(unhex(t, c.question), unhex(t, c.got))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v, want %d, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// Whatever comes, the length does not change with more of the same bytes, and
// no answer is longer than a frame can be.
func FuzzAnswerLength(f *testing.F) {
	f.Add([]byte{1, 4, 0, 0x48, 0, 2, 0xF1, 0xDD}, []byte{1, 4, 4, 0, 1, 0, 2, 0, 0})
	f.Add([]byte{1, 0x2B, 0x0E, 1, 0, 0, 0}, []byte{1, 0x2B, 0x0E, 1, 1, 0, 0, 1, 0, 3, 65, 66, 67, 0, 0})
	f.Fuzz(func(t *testing.T, question, got []byte) {
		if len(question) < 7 || question[1]&exceptionBit != 0 || question[1] != encapsulated && question[4] != 0 {
			return
		}
		known := 0
		for n := range len(got) + 1 {
			length, err := answerLength(question, got[:n])
			if known > 0 && n <= known && (err != nil || length != known) {
				t.Fatalf("%x: %d after %d bytes, then %d, %v", got, known, n-1, length, err)
			}
			if err != nil {
				return
			}
			if known == 0 {
				known = length
			}
			if length > 515 || length > 0 && length < exceptionFrame {
				t.Fatalf("%x: length %d", got[:n], length)
			}
		}
	})
}
