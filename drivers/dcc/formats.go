package dcc

// formats are the feeds of this version.
var formats = map[string]format{
	"csv": {checkFolder, openFolder},
}
