package dcc

// formats are the feeds of this version.
var formats = map[string]format{
	"csv":       {checkFolder, openFolder},
	"glow":      {checkBroker, openGlow},
	"glowmarkt": {checkWeb(glowmarktExample), openGlowmarkt},
	"n3rgy":     {checkN3rgy, openN3rgy},
}
