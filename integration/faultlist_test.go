package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/faults.md names every folder of a failure, and none that is not there;
// and each test that it names is one.
func TestListOfFaultsIsComplete(t *testing.T) {
	text, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile("`([a-z0-9/]+/testdata/[a-z0-9-]+)`").FindAllStringSubmatch(string(text), -1)
	named := map[string]bool{}
	for _, m := range listed {
		named[m[1]] = true
		for _, file := range []string{"case.json", "expected.txt"} {
			if _, err := os.Stat(filepath.Join("..", m[1], file)); err != nil {
				t.Errorf("docs/faults.md: %v", err)
			}
		}
	}
	for _, room := range []string{"energy", "drivers/modbus", "drivers/modbus/doctor", "drivers/dcc", "drivers/mqtt"} {
		cases, err := filepath.Glob(filepath.Join("..", room, "testdata", "*", "case.json"))
		if err != nil || len(cases) == 0 {
			t.Fatalf("%s: no cases, %v", room, err)
		}
		for _, c := range cases {
			folder := room + "/testdata/" + filepath.Base(filepath.Dir(c))
			if !named[folder] && !slices.Contains(shapes, filepath.Base(folder)) {
				t.Errorf("%s is not in docs/faults.md", folder)
			}
		}
	}
	tests := sources(t)
	for _, name := range regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]+`).FindAllString(string(text), -1) {
		if !strings.Contains(tests, "func "+name+"(") {
			t.Errorf("docs/faults.md names %s, which no package has", name)
		}
	}
}

// shapes are folders of drivers/mqtt that show a source's messages, not a failure.
var shapes = []string{
	"bacnet-mqtt-gateway", "bitpool", "homeassistant", "json-bacnet2mqtt", "json-half-hours", "json-metasys", "json-nvidia-dsx", "json-volttron",
	"niagara-json-toolkit", "niagara-strings", "siemens-cc7", "siemens-iih", "thingsboard-device", "thingsboard-gateway", "udmi", "udmi-units-of-metadata",
}

// sources is all of the tests' text.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "..":
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			b, err := os.ReadFile(path)
			all.Write(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
