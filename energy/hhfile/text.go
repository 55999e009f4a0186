package hhfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// accepted ends every error about a file that is not one of ours.
const accepted = "accepted are CSV files with a row per day or a row per reading, Perse JSON, the data flow D0379, and CSV with the columns id,measure,start,kWh,quality"

// magics are the first bytes of files that people send by mistake.
var magics = []struct{ magic, what string }{
	{"\x89PNG", "a PNG picture"},
	{"\xff\xd8\xff", "a JPEG picture"},
	{"GIF8", "a GIF picture"},
	{"%PDF", "a PDF document"},
	{"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx): save the sheet as CSV"},
	{"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls): save the sheet as CSV"},
	{"\x1f\x8b", "a gzip archive: unpack it first"},
}

// text makes UTF-8 of what was sent, or says what it is where it is no text.
func text(data []byte) (string, error) {
	for _, m := range magics {
		if bytes.HasPrefix(data, []byte(m.magic)) {
			return "", errors.New("this is " + m.what + ", not a half-hourly file; " + accepted)
		}
	}
	if bytes.Contains(data, []byte("IHDR")) && bytes.Contains(data[:min(len(data), 64)], []byte("PNG")) {
		return "", errors.New("this is a PNG picture, not a half-hourly file; " + accepted)
	}
	s := decode(data)
	trimmed := strings.TrimSpace(s)
	if trimmed == "" || isSep(trimmed) {
		return "", errors.New("the file is empty; " + accepted)
	}
	head := strings.ToLower(trimmed[:min(len(trimmed), 512)])
	switch {
	case strings.HasPrefix(head, "<!doctype html"), strings.HasPrefix(head, "<html"), strings.Contains(head, "<html"):
		return "", errors.New("this is a web page (HTML), most likely the sender's error or log-in page saved as a file; " + accepted)
	case strings.HasPrefix(head, "<?xml"), strings.HasPrefix(head, "<"):
		return "", errors.New("this is an XML file, not a half-hourly file; " + accepted)
	}
	return s, nil
}

// isSep reports whether a line is the "sep=," by which spreadsheets are told
// their separator.
func isSep(line string) bool {
	return len(line) <= 6 && strings.HasPrefix(strings.ToLower(line), "sep=")
}

// decode undoes UTF-16, with its byte order mark or mangled by programs that
// took it for bytes (NULs between the letters, the mark turned into U+FFFD).
func decode(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return unmangle(utf16Text(data[2:], binary.LittleEndian))
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return unmangle(utf16Text(data[2:], binary.BigEndian))
	}
	return unmangle(string(bytes.TrimPrefix(data, []byte{0xef, 0xbb, 0xbf})))
}

func utf16Text(b []byte, order binary.ByteOrder) string {
	u := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		u = append(u, order.Uint16(b))
	}
	return string(utf16.Decode(u))
}

func unmangle(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.TrimLeft(s, "\ufeff"+string(utf8.RuneError))
	return strings.ReplaceAll(s, "\x00", "")
}

// lines splits at LF, CR LF and CR alone; the line numbers are those that an
// editor shows.
func lines(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
}
