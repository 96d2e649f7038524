// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";

/// @dev ONCHAINID 2.2.1 from the bytecode that npm ships.
abstract contract OnchainidSetup is Test {
    function deployTheirs(string memory name, bytes memory args) internal returns (address deployed) {
        return deployTheirs(name, name, args);
    }

    function deployTheirs(string memory folder, string memory name, bytes memory args)
        internal
        returns (address deployed)
    {
        string memory path = string.concat(
            "node_modules/@onchain-id/solidity/artifacts/contracts/", folder, ".sol/", name, ".json"
        );
        bytes memory code = abi.encodePacked(vm.parseJsonBytes(vm.readFile(path), ".bytecode"), args);
        assembly {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        assertNotEq(deployed, address(0));
    }
}
