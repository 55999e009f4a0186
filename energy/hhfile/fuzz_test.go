package hhfile

import (
	"os"
	"testing"
)

// Whatever is sent, Parse answers with an error or with sound half-hours.
func FuzzParse(f *testing.F) {
	for _, p := range fixtures() {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(0))
	}
	f.Add([]byte("\xff\xfes\x00e\x00p\x00=\x00,\x00"), uint8(1))
	f.Add([]byte(`{"data":[{"Date":"2024-01-01","MPAN":"2000000000006","MeasurementQuantity":"AI","P1":1e3,"UT1":"E"}]}`), uint8(2))
	f.Add([]byte("MPAN,Date,00:30,24:00\n1,2024-01-01,1,2\n"), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, label uint8) {
		file, err := Parse(data, Options{Label: Label(label % 3)})
		if (file == nil) == (err == nil) {
			t.Fatalf("file %v, error %v", file, err)
		}
		if err == nil {
			checkLaws(t, file)
		}
	})
}
