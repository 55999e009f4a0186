package registry

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// kept is a resource as it is kept on disk.
type kept struct {
	URL     string    `json:"url"`
	Fetched time.Time `json:"fetched"`
	Turtle  string    `json:"turtle"`
	TextURL string    `json:"text_url,omitempty"` // with the SHA-256 as its fragment
	Text    string    `json:"text,omitempty"`
}

// file is where a resource is kept: a name that no URL can lead out of the
// folder.
func (c *Client) file(at string) string { return filepath.Join(c.Dir, Hash(at)+".json") }

// write keeps a resource; a crash leaves the old file or the new one.
func (c *Client) write(k kept) error {
	b, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("registry: keeping %s: %w", k.URL, err)
	}
	if err := identity.WriteFile(c.file(k.URL), b, 0o644); err != nil {
		return fmt.Errorf("registry: keeping %s: %w", k.URL, err)
	}
	return nil
}

// read gives a resource as it was kept. The text is checked against its hash
// again: a disk may rot, and a folder may be edited.
func (c *Client) read(at string) (kept, error) {
	b, err := os.ReadFile(c.file(at))
	if err != nil {
		return kept{}, err
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil || k.URL != at {
		return kept{}, fmt.Errorf("registry: %s does not hold %s", c.file(at), at)
	}
	if _, hash, _ := strings.Cut(k.TextURL, "#"); k.TextURL != "" && Hash(k.Text) != hash {
		return kept{}, fmt.Errorf("registry: the text in %s does not have its SHA-256: delete the file", c.file(at))
	}
	return k, nil
}
