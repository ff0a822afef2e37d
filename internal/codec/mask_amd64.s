#include "textflag.h"

// The masks of 64 bytes are two words: stops (quote, backslash, below 0x20, 0x80 and
// more) and line ends. As signed bytes, those of 0x80 and more are below 0x20 too.

// func markAVX2(data *byte, words int, stops, lines *uint64)
TEXT ·markAVX2(SB), NOSPLIT, $0-32
	MOVQ data+0(FP), SI
	MOVQ words+8(FP), CX
	MOVQ stops+16(FP), R8
	MOVQ lines+24(FP), R9

	// Y8: quotes, Y9: line ends, Y10: backslashes, Y11: 0x20 in every byte.
	MOVQ $0x2222222222222222, AX
	VMOVQ AX, X8
	VPBROADCASTQ X8, Y8
	MOVQ $0x0a0a0a0a0a0a0a0a, AX
	VMOVQ AX, X9
	VPBROADCASTQ X9, Y9
	MOVQ $0x5c5c5c5c5c5c5c5c, AX
	VMOVQ AX, X10
	VPBROADCASTQ X10, Y10
	MOVQ $0x2020202020202020, AX
	VMOVQ AX, X11
	VPBROADCASTQ X11, Y11

loop:
	TESTQ CX, CX
	JZ    done
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1

	VPCMPEQB Y9, Y0, Y2
	VPCMPEQB Y9, Y1, Y3
	VPMOVMSKB Y2, AX
	VPMOVMSKB Y3, BX
	SHLQ $32, BX
	ORQ  BX, AX
	MOVQ AX, (R9)

	VPCMPEQB Y8, Y0, Y2
	VPCMPEQB Y8, Y1, Y3
	VPCMPGTB Y0, Y11, Y4
	VPCMPGTB Y1, Y11, Y5
	VPCMPEQB Y10, Y0, Y6
	VPCMPEQB Y10, Y1, Y7
	VPOR     Y2, Y4, Y4
	VPOR     Y3, Y5, Y5
	VPOR     Y6, Y4, Y4
	VPOR     Y7, Y5, Y5
	VPMOVMSKB Y4, AX
	VPMOVMSKB Y5, BX
	SHLQ $32, BX
	ORQ  BX, AX
	MOVQ AX, (R8)

	ADDQ $64, SI
	ADDQ $8, R8
	ADDQ $8, R9
	DECQ CX
	JMP  loop

done:
	VZEROUPPER
	RET

// func markAVX512(data *byte, words int, stops, lines *uint64)
TEXT ·markAVX512(SB), NOSPLIT, $0-32
	MOVQ data+0(FP), SI
	MOVQ words+8(FP), CX
	MOVQ stops+16(FP), R8
	MOVQ lines+24(FP), R9

	MOVQ $0x2222222222222222, AX
	VPBROADCASTQ AX, Z8
	MOVQ $0x0a0a0a0a0a0a0a0a, AX
	VPBROADCASTQ AX, Z9
	MOVQ $0x5c5c5c5c5c5c5c5c, AX
	VPBROADCASTQ AX, Z10
	MOVQ $0x2020202020202020, AX
	VPBROADCASTQ AX, Z11

loop512:
	TESTQ CX, CX
	JZ    done512
	VMOVDQU64 (SI), Z0
	VPCMPEQB  Z9, Z0, K1
	KMOVQ     K1, (R9)
	VPCMPEQB  Z8, Z0, K2
	VPCMPGTB  Z0, Z11, K3
	VPCMPEQB  Z10, Z0, K4
	KORQ      K2, K3, K3
	KORQ      K4, K3, K3
	KMOVQ     K3, (R8)
	ADDQ $64, SI
	ADDQ $8, R8
	ADDQ $8, R9
	DECQ CX
	JMP  loop512

done512:
	VZEROUPPER
	RET
