package store
import ("testing";"time";"runtime";"fmt"; "github.com/perseus-edge/perseus-edge/energy")
func TestZZ(t *testing.T){ s:=fastStore(t)
 heap:=func() uint64 { runtime.GC(); runtime.GC(); var m runtime.MemStats; runtime.ReadMemStats(&m); return m.HeapAlloc}
 var r Round
 for i:=range 3000 { k:=energy.Key{Meter: fmt.Sprint("meter-",i/3), Measure: energy.Measures()[i%3]}
  r.States=append(r.States, KeyedState{k, make([]byte,135)}); r.Samples=append(r.Samples, KeyedSample{Key:k}) }
 round:=func(m int) { for i:=range r.Samples { r.Samples[i].Sample=energy.Sample{At: day0.Add(time.Duration(m)*time.Minute+time.Duration(i)*time.Millisecond), Value:int64(m*100)} }; must(t,s.Commit(r)) }
 h0:=heap()
 var m0,m1 runtime.MemStats
 runtime.ReadMemStats(&m0); round(0); runtime.ReadMemStats(&m1); t.Log("bbolt round allocates KiB", (m1.TotalAlloc-m0.TotalAlloc)>>10)
 for m:=1;m<30;m++ {round(m)}
 h1:=heap(); t.Logf("held: %d bytes a register; slot %d KiB", (h1-h0)/3000, func() int {n,_:=slotSize(s.since.lines); return n>>10}())
 runtime.ReadMemStats(&m0); must(t,s.Commit(Round{HalfHours: halfHours(r.States[0].Key,0,1)})); runtime.ReadMemStats(&m1); t.Log("folding allocates KiB", (m1.TotalAlloc-m0.TotalAlloc)>>10)
 for m:=30;m<59;m++ {round(m)}
 h1=heap(); t.Logf("held later: %d bytes a register, file %d", (h1-h0)/3000, s.since.file.size*2)
 t.Log(s.Written()); runtime.KeepAlive(r); runtime.KeepAlive(s)
}
