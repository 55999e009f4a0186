package search

import "strings"

// enrolCode spells what identity.NewEnrolCode makes of its random bytes. That it
// is the same, a test sees to.
func enrolCode(b []byte) string {
	const alphabet = "23456789ACDEFHJKMPRTWXY"
	var digits []int
	sum := 0
	for _, c := range b {
		if int(c) < 253 && len(digits) < 11 {
			d := int(c) % 23
			digits = append(digits, d)
			sum += len(digits) * d
		}
	}
	if len(digits) < 11 { // once in 10^15
		return ""
	}
	var s strings.Builder
	for i, d := range append(digits, (23-sum%23)*2%23) {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(alphabet[d])
	}
	return s.String()
}
