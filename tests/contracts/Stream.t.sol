// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";
import {ClaimHeader, ClaimHeaders} from "../../contracts/libraries/ClaimHeader.sol";
import {Ids} from "../../contracts/libraries/Ids.sol";
import {Stream} from "../../contracts/libraries/Stream.sol";

/// @dev The assembly of the libraries, in memory that is dirty wherever it may be, against what Solidity says.
contract StreamTest is Test {
    bytes32[194] private words;

    modifier brutalised() {
        assembly ("memory-safe") {
            mstore(0x00, not(0))
            mstore(0x20, not(0))
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize()) // anything
            for { let at := free } lt(at, add(free, 0x2000)) { at := add(at, 0x20) } {
                mstore(at, not(keccak256(free, 0x40)))
            }
        }
        _;
        uint256 zero;
        assembly ("memory-safe") {
            zero := mload(0x60) // Solidity's empty arrays
        }
        assertEq(zero, 0);
    }

    function testFuzz_JoinAndTake(bytes calldata a, bytes calldata b, bytes calldata c) external brutalised {
        bytes memory stream = Stream.join(a, b, c);
        bytes memory after_ = new bytes(64); // what is allocated next must not lie in it
        for (uint256 i = 0; i < 64; ++i) {
            after_[i] = 0xff;
        }
        assertEq(stream, bytes.concat(a, b, c));
        assertEq(Stream.take(stream, 0, a.length), a);
        assertEq(Stream.take(stream, a.length, b.length), b);
        assertEq(Stream.take(stream, a.length + b.length, c.length), c);
    }

    function testFuzz_Prefixed(bytes calldata a, uint256 first, uint256 second) external brutalised {
        bytes memory stream = Stream.prefixed(Stream.prefixed(Stream.join(a, a, a), second), first);
        assertEq(stream, abi.encodePacked(first, second, a, a, a));
        assertEq(Stream.wordAt(stream, 0), first);
        assertEq(Stream.wordAt(stream, 32), second);
    }

    function testFuzz_StoreAndLoad(bytes calldata a, bytes calldata b, uint256 word) external brutalised {
        vm.assume(a.length + b.length <= 193 * 32);
        bytes memory stream = Stream.prefixed(Stream.join(a, b, a[:0]), word);
        Stream.store(words, stream);
        uint256 count = (stream.length + 31) / 32;
        bytes memory padded = Stream.load(words, count);
        assertEq(padded, bytes.concat(abi.encodePacked(word, a, b), new bytes(count * 32 - stream.length)));
        for (uint256 i = count; i < 194; ++i) {
            assertEq(words[i], 0);
        }
    }

    function testFuzz_Put(bytes32 word, bytes32 other) external brutalised {
        bytes memory stream = abi.encode(word, word, word);
        Stream.put(stream, 32, other);
        assertEq(stream, abi.encode(word, other, word));
    }

    function testFuzz_Ids(uint256 dirty, uint256 topic) external brutalised {
        address account;
        assembly ("memory-safe") {
            account := dirty // an address whose upper bits are not clean
        }
        assertEq(Ids.keyOf(account), keccak256(abi.encode(address(uint160(dirty)))));
        assertEq(Ids.claimOf(account, topic), keccak256(abi.encode(address(uint160(dirty)), topic)));
    }

    function testFuzz_Header(uint8 flags, uint16[3] calldata lengths, uint8 scheme, uint32 topic, address account)
        external
        brutalised
    {
        ClaimHeader header = ClaimHeaders.make(flags, lengths[0], lengths[1], lengths[2], scheme, topic, account);
        assertEq(header.uriLength(), lengths[0]);
        assertEq(header.dataLength(), lengths[1]);
        assertEq(header.signatureLength(), lengths[2]);
        assertEq(header.scheme(), scheme);
        assertEq(header.topic(), topic);
        assertEq(header.account(), account);
        assertEq(header.isClaim(), account != address(0));
        for (uint256 bit = 1; bit < 256; bit <<= 1) {
            assertEq(header.has(bit), flags & bit != 0);
        }
        ClaimHeader elsewhere = header.inCode(address(this));
        assertEq(elsewhere.account(), address(this));
        assertTrue(elsewhere.has(ClaimHeaders.CODE));
        assertEq(elsewhere.words(), 0);
        assertEq(elsewhere.topic(), topic);
        assertEq(elsewhere.dataLength(), lengths[1]);
        assertEq(ClaimHeaders.NONE.words(), 0);
        assertEq(ClaimHeaders.TOMBSTONE.words(), 0);
    }
}
