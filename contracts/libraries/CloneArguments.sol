// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

/// @title The two addresses at the end of an identity's code: its first wallet, who is its first manager, and its adder
library CloneArguments {
    /// @dev An ERC-1167 clone (45 bytes) and two addresses.
    uint256 internal constant CLONE_SIZE = 85;

    function encode(address wallet, address adder) internal pure returns (bytes memory) {
        return abi.encodePacked(wallet, adder);
    }

    /// @dev `clone` must be one: anything shorter than 45 bytes reverts, anything else answers nonsense.
    function read(address clone) internal view returns (address wallet, address adder) {
        bytes memory arguments = Clones.fetchCloneArgs(clone);
        assembly ("memory-safe") {
            wallet := shr(96, mload(add(arguments, 0x20)))
            adder := shr(96, mload(add(arguments, 0x34)))
        }
    }
}
