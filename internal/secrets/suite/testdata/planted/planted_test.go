// Package planted leaks on demand: TestPlanted of internal/secrets/suite sets
// PERSEUS_TEST_PLANT and sees that each leak is found.
package planted

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

func TestPlanted(t *testing.T) {
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	token, code := rand.Text(), identity.NewEnrolCode()
	password := record.Secret(t, "password", "hunter2hunter2")
	var seen bytes.Buffer
	switch plant := os.Getenv("PERSEUS_TEST_PLANT"); plant {
	case "":
		record.Logger(t).Info("nothing to see", "csr", must(identity.NewCSR(key, "x"))(t))
	case "logger":
		record.Logger(t).Debug("asked", "token", token)
	case "handler":
		slog.New(record.Handler(t, slog.NewTextHandler(&seen, &slog.HandlerOptions{Level: slog.LevelError}))).With("code", strings.ToLower(strings.ReplaceAll(code, "-", ""))).Info("asked")
	case "t.Log":
		t.Log("the key is", hex.EncodeToString(scalar))
	case "slog.Default":
		slog.Info("asked", "token", token)
	case "log":
		log.Print("asked with ", password)
	case "child":
		c := exec.Command("sh", "-c", `printf 'asked with '; echo "$0" | tr -d '\n'; echo .`, token)
		c.Stderr = os.Stderr
		c.Stdout = record.Writer(t, "sh", &seen)
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
	case "failing":
		fmt.Println("token:", token)
		t.Error("and it fails")
	default:
		t.Fatalf("PERSEUS_TEST_PLANT=%s", plant)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
