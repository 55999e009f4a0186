package udmi

import "fmt"

// Units reads a device's metadata.json and gives the unit of each point by its
// name, as spelt there (BACnet's names, "Kilowatt-Hours").
func Units(b []byte) (map[string]string, error) {
	var m struct {
		Pointset struct {
			Points map[string]struct {
				Units    string `json:"units"`
				Reported string `json:"units_reported"`
			} `json:"points"`
		} `json:"pointset"`
	}
	if err := decode(b, &m); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	units := make(map[string]string, len(m.Pointset.Points))
	for name, p := range m.Pointset.Points {
		// What is reported may differ from what the model asks for; it is what comes.
		if units[name] = p.Units; p.Reported != "" {
			units[name] = p.Reported
		}
	}
	return units, nil
}
