package dirtest_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
)

// TestNoSecretsFinds: the look through the logs finds what was put there.
func TestNoSecretsFinds(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		_, code, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		key, _ := dirtest.NewKeyCSR(t)
		// Past the logger, whose records no secret may be in (internal/secrets).
		for _, leak := range []string{
			"msg=x token=" + w.Owner,
			`msg="made ` + code + ` for it"`,
			"msg=x code=" + strings.ToLower(strings.ReplaceAll(code, "-", "")),
			"msg=x key=" + strconv.Quote(dirtest.KeyPEM(t, key)),
		} {
			before := w.Logs.String()
			fmt.Fprintln(w.Logs, leak)
			found := &recorder{TB: t}
			w.NoSecrets(found)
			if !found.failed {
				t.Errorf("not found in %s", strings.TrimPrefix(w.Logs.String(), before))
			}
			w.Logs.Reset()
		}
	})
}

// recorder is a test that only remembers that it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
