package clock

import "fmt"

// UnmarshalText reads the class's name, so that a program can read the Status
// of another one.
func (c *Class) UnmarshalText(b []byte) error {
	for i, n := range classNames {
		if n == string(b) {
			*c = Class(i)
			return nil
		}
	}
	return fmt.Errorf("unknown class of a clock %q", b)
}
