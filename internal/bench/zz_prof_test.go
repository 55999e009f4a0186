package main
import ("testing")
func TestZZProf(t *testing.T){ s:=newSite(); c,err:=s.throughStore(nil); if err!=nil{t.Fatal(err)}; t.Logf("%+v %.1f looked/h %.1f",c,c.perHalfHour(), float64(c.looked)/48) }
