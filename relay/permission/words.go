package permission

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// loadWords gives the text of every licence, those of the configuration first.
// Where it gives none, our own words hold (configs/permission). Their form is
// that of the registry's texts: paragraphs between blank lines, list items that
// begin with "* ", and names in square brackets: [EDP], [CAP], [FSP],
// [CAP process] (where to withdraw), [EDP privacy policy link].
func loadWords(sc scheme.Scheme, configured map[string]string) (map[string]string, error) {
	own := map[string]string{
		sc.LicenseConsumption(): "permission/consumption.txt",
		sc.LicenseCombined():    "permission/combined.txt",
		sc.LicenseEmissions():   "permission/emissions.txt",
	}
	out := map[string]string{}
	for license, file := range own {
		b, err := configs.PermissionTexts.ReadFile(file)
		if err != nil {
			return nil, err
		}
		out[license] = string(b)
	}
	for license, text := range configured {
		if out[license] == "" {
			return nil, fmt.Errorf("%s is not a licence of this registry: use one of %s",
				license, strings.Join(slices.Sorted(maps.Keys(out)), ", "))
		}
		if strings.TrimSpace(text) == "" || len(text) > 16<<10 {
			return nil, fmt.Errorf("the text for %s is empty or longer than 16 KiB", license)
		}
		out[license] = text
	}
	return out, nil
}

// names are who takes which part, as the business knows them.
type names struct{ EDP, CAP, FSP string }

// anyBank stands in the permission text where no bank is named yet.
const anyBank = "the bank or finance provider that you choose"

// partNames fills the parts of a request: the client takes those that its
// roles allow, the relay's member the rest.
func (s *Service) partNames(clientName, parts string) names {
	n := names{EDP: cleanName(s.c.Organisation), CAP: cleanName(s.c.Organisation), FSP: anyBank}
	for _, p := range strings.Fields(parts) {
		switch p {
		case partCAP:
			n.CAP = clientName
		case partFSP:
			n.FSP = clientName
		}
	}
	return n
}

// permissionText is the text of a licence with its names filled in. A name
// that itself holds a placeholder stays as it is: the text is gone over once.
func (s *Service) permissionText(license string, n names) string {
	pairs := []string{"[EDP]", n.EDP, "[CAP]", n.CAP, "[FSP]", n.FSP, "[CAP process]", s.issuer.String() + "/permissions"}
	if s.c.Privacy != "" {
		pairs = append(pairs, "[EDP privacy policy link]", s.c.Privacy)
	}
	return strings.NewReplacer(pairs...).Replace(s.words[license])
}

// The registry's texts have two marks of Markdown: a paragraph in _underscores_,
// and [words](https://address). The page shows neither as a link: the words go
// out as they are read, address and all.
var (
	emphasised = regexp.MustCompile(`^_([^_]+)_$`)
	linkedText = regexp.MustCompile(`\[([^\[\]]+)\]\((https://[^\s()]+)\)`)
)

func unmarked(s string) string {
	return linkedText.ReplaceAllString(emphasised.ReplaceAllString(s, "$1"), "$1 ($2)")
}

// block is a paragraph or, with Items, a list.
type block struct {
	Text  string
	Items []string
}

// blocks takes a permission text apart for the page.
func blocks(text string) []block {
	var out []block
	var para, items []string
	flush := func() {
		if len(para) > 0 {
			out = append(out, block{Text: unmarked(strings.Join(para, " "))})
		}
		if len(items) > 0 {
			for i := range items {
				items[i] = unmarked(items[i])
			}
			out = append(out, block{Items: items})
		}
		para, items = nil, nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		item, isItem := strings.CutPrefix(line, "* ")
		switch {
		case line == "":
			flush()
		case isItem:
			if len(para) > 0 {
				flush()
			}
			items = append(items, item)
		case len(items) > 0: // a list item that goes on
			items[len(items)-1] += " " + line
		default:
			para = append(para, line)
		}
	}
	flush()
	return out
}

// maxName bounds a name on a page, in characters.
const maxName = 80

// cleanName makes a name from a certificate or a gateway fit to be shown:
// without control and direction-changing characters, on one line, at most 80
// characters. A name must not be able to rewrite the sentence around it.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r): // control, format (bidi overrides, zero width), private use, invalid
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxName {
		s = string(r[:maxName-1]) + "…"
	}
	return s
}

// cleanAgent makes a stored User-Agent fit to be shown.
func cleanAgent(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, s)
}
