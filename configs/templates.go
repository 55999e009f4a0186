package configs

import "embed"

// Templates holds the meter templates, templates/NAME.yaml: data, one meter
// each. agent/config reads them.
//
//go:embed templates/*.yaml
var Templates embed.FS
