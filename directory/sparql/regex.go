package sparql

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Bounds of regular expressions. They run in time linear in the text and in
// the size of the program (RE2), so these bound them.
const (
	maxRegex   = 256  // bytes of a pattern
	maxProgram = 2000 // instructions that it becomes
)

// compile reads a pattern with the flags of XPath: i, s, m and q. What XPath
// has and RE2 has not (back references) is an error.
func compile(pattern, flags string) (*compiled, error) {
	if len(pattern) > maxRegex {
		return nil, fmt.Errorf("the regular expression is longer than %d bytes", maxRegex)
	}
	if len(flags) > 8 || strings.Trim(flags, "ismq") != "" {
		return nil, fmt.Errorf("flags of REGEX may be i, s, m and q")
	}
	if strings.Contains(flags, "q") {
		pattern, flags = regexp.QuoteMeta(pattern), strings.ReplaceAll(flags, "q", "")
	}
	if flags != "" {
		pattern = "(?" + flags + ")" + pattern
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("the regular expression is not understood: %s", err.(*syntax.Error).Code)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		return nil, fmt.Errorf("the regular expression is too large")
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("the regular expression is not understood")
	}
	return &compiled{re, len(program.Inst)}, nil
}
