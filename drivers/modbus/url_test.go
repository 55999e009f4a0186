package modbus

import (
	"strings"
	"testing"
)

func TestURLs(t *testing.T) {
	for in, want := range map[string]target{
		"tcp://10.0.0.5":                   {scheme: "tcp", address: "10.0.0.5:502"},
		"udp://[fe80::1]:1502":             {scheme: "udp", address: "[fe80::1]:1502"},
		"rtuovertcp://box:4001":            {scheme: "rtuovertcp", address: "box:4001"},
		"tcp://h:1":                        {scheme: "tcp", address: "h:1"},
		"tcp://h:65535":                    {scheme: "tcp", address: "h:65535"},
		"tls://m?ca=/a&cert=/b&key=/c":     {scheme: "tls", address: "m:802", ca: "/a", cert: "/b", key: "/c"},
		"tls://m:502?key=/c&ca=/a&cert=/b": {scheme: "tls", address: "m:502", ca: "/a", cert: "/b", key: "/c"},
		"rtu:///dev/ttyUSB0":               {scheme: "rtu", address: "/dev/ttyUSB0", baud: 9600, parity: "N", stop: 1},
		"rtu:///dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0?baud=19200&parity=even": {
			scheme: "rtu", address: "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0", baud: 19200, parity: "E", stop: 1},
		"rtu:///dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0?parity=odd": {
			scheme: "rtu", address: "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0", baud: 9600, parity: "O", stop: 1},
		"rtu:///dev/ttyS0?parity=none&stop=2&baud=230400": {scheme: "rtu", address: "/dev/ttyS0", baud: 230400, parity: "N", stop: 2},
		"rtu:///dev/ttyS0?baud=300":                       {scheme: "rtu", address: "/dev/ttyS0", baud: 300, parity: "N", stop: 1},
		"rtu:///COM3":                                     {scheme: "rtu", address: `\\.\COM3`, baud: 9600, parity: "N", stop: 1},
		"rtu:///com12?baud=2400":                          {scheme: "rtu", address: `\\.\COM12`, baud: 2400, parity: "N", stop: 1},
	} {
		got, err := parseURL(in)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestURLMistakes(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "use tcp://",
		"10.0.0.5:502":                         "bus url",
		"http://h":                             "use tcp://",
		"tcp://":                               "use tcp://host:port",
		"tcp://h/x":                            "use tcp://host:port",
		"tcp://h?baud=9600":                    "use tcp://host:port with nothing behind it",
		"tcp://h?":                             "with nothing behind it",
		"tcp://u@h":                            "knows no users",
		"tcp://h#x":                            "knows no users",
		"tcp://h:0":                            "port 0: use 1 to 65535",
		"tcp://h:65536":                        "port 65536",
		"rtuovertcp://h?baud=9600":             "with nothing behind it",
		"tls://h":                              "ca is missing: write ?ca=/path",
		"tls://h?ca=/a&key=/c":                 "cert is missing",
		"tls://h?ca=/a&cert=/b":                "key is missing",
		"tls://h?ca=/a&cert=/b&key=":           "key is empty",
		"tls://h?ca=/a&cert=/b&key=/c&x=1":     `unknown "x" after the ?: tls:// takes ca, cert, key`,
		"rtu://ttyUSB0":                        "use three slashes",
		"rtu:dev/ttyUSB0":                      "use three slashes",
		"rtu://":                               "use three slashes",
		"rtu:///":                              "not the path of a serial port",
		"rtu:///dev/../etc/x":                  "not the path of a serial port",
		"rtu:///dev/x?baud=9600&baud=9600":     "baud is given 2 times",
		"rtu:///dev/x?baud=":                   "baud is empty",
		"rtu:///dev/x?baud=+9600":              `baud " 9600": use one of 300`,
		"rtu:///dev/x?baud=09600":              `baud "09600": use one of`,
		"rtu:///dev/x?baud=fast":               "use one of 300 600 1200 2400 4800 9600 19200 38400 57600 115200 230400",
		"rtu:///dev/x?parity=Even":             `parity "Even": use none, even or odd`,
		"rtu:///dev/x?stop=1.5":                `stop "1.5": use 1 or 2`,
		"rtu:///dev/x?stop=0":                  `stop "0"`,
		"rtu:///dev/x?data=8":                  "data: Modbus RTU has always 8 data bits",
		"rtu:///dev/x?bits=7":                  "bits: Modbus RTU has always 8",
		"rtu:///dev/x?speed=9600":              `unknown "speed" after the ?: rtu:// takes baud, parity, stop`,
		"rtu:///dev/x?baud=9600;parity=even":   "after the ?",
		"rtu:///dev/x?z=1&a=1":                 `unknown "a"`,
		"rtu:///dev/x#frag":                    "knows no users",
		"rtu:///dev/x?baud=9600&parity=%zz":    "after the ?",
		"rtu:///dev/x?baud=9600&parity=none&x": `unknown "x"`,
	} {
		if err := CheckURL(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

func TestOneWireOneOwner(t *testing.T) {
	same := [][2]string{
		{"tcp://H", "tcp://h:502"}, {"tcp://h", "rtuovertcp://h:502"}, {"tls://h:502?ca=/a&cert=/b&key=/c", "tcp://h"},
		{"rtu:///dev/x?baud=9600", "rtu:///dev/x?parity=odd"}, {"rtu:///com3", "rtu:///COM3"}, {"udp://H", "udp://h:502"},
	}
	for _, p := range same {
		if Wire(p[0]) != Wire(p[1]) {
			t.Errorf("%s and %s are one wire: %s, %s", p[0], p[1], Wire(p[0]), Wire(p[1]))
		}
	}
	for _, p := range [][2]string{{"tcp://h", "udp://h"}, {"tcp://h", "tcp://h:503"}, {"rtu:///dev/x", "rtu:///dev/X"}, {"tls://h?ca=/a&cert=/b&key=/c", "tcp://h"}} {
		if Wire(p[0]) == Wire(p[1]) {
			t.Errorf("%s and %s are two wires", p[0], p[1])
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("rtu:///dev/ttyUSB0?baud=9600&parity=even&stop=1")
	f.Add("tls://h:802?ca=/a&cert=/b&key=/c")
	f.Add("tcp://[::1]:502")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseURL(s)
		if err != nil {
			return
		}
		if v.address == "" || (v.scheme == "rtu") != (v.baud > 0) || (v.scheme == "tls") != (v.key != "") || Wire(s) == s {
			t.Errorf("%q: %+v", s, v)
		}
	})
}
