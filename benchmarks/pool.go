// A pool on Go's net/smtp as mail programs written in Go use it: a connection per worker, each
// mail composed (quoted-printable) for its recipient, nothing recorded.
//
//	pool PORT SESSIONS COUNT TEXT
package main

import (
	"bytes"
	"fmt"
	"mime/quotedprintable"
	"net/smtp"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func compose(to string, text string) []byte {
	var mail bytes.Buffer
	fmt.Fprintf(&mail, "From: bench@example.org\r\nTo: %s\r\nSubject: Benchmark\r\n", to)
	fmt.Fprintf(&mail, "Date: %s\r\n", time.Now().Format(time.RFC1123Z))
	fmt.Fprintf(&mail, "Message-ID: <%d@example.org>\r\n", time.Now().UnixNano())
	mail.WriteString("MIME-Version: 1.0\r\nContent-Type: text/html; charset=UTF-8\r\n")
	mail.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	body := quotedprintable.NewWriter(&mail)
	body.Write([]byte(text))
	body.Close()
	return mail.Bytes()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func send(client *smtp.Client, to string, text string) {
	must(client.Mail("bench@example.org"))
	must(client.Rcpt(to))
	data, err := client.Data()
	must(err)
	_, err = data.Write(compose(to, text))
	must(err)
	must(data.Close())
}

func main() {
	sessions, _ := strconv.Atoi(os.Args[2])
	count, _ := strconv.Atoi(os.Args[3])
	numbers := make(chan int, 1000)
	var all sync.WaitGroup
	started := time.Now()
	for range sessions {
		all.Add(1)
		go func() {
			defer all.Done()
			client, err := smtp.Dial("127.0.0.1:" + os.Args[1])
			must(err)
			for number := range numbers {
				send(client, fmt.Sprintf("u%d@users.example", number), os.Args[4])
			}
			must(client.Quit())
		}()
	}
	for number := range count {
		numbers <- number
	}
	close(numbers)
	all.Wait()
	seconds := time.Since(started).Seconds()
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	cpu := float64(used.Utime.Nano()+used.Stime.Nano()) / 1000
	fmt.Printf("{\"rate\": %f, \"cpu\": %f}\n", float64(count)/seconds, cpu/float64(count))
}
